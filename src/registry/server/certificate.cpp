#include "registry/server/certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fd.h"

namespace registry::server {
namespace {

constexpr size_t kMaxFile = 1 << 20;

gnutls_datum_t datum(std::string& text) {
    return {.data = reinterpret_cast<unsigned char*>(text.data()), .size = static_cast<unsigned>(text.size())};
}

void check(int result, const std::filesystem::path& file) {
    if (result < 0) throw base::Error(file.string() + ": " + gnutls_strerror(result));
}

// When the first certificate of the chain ends. Throws base::Error where one of them is not complete.
time_t end_of(std::string& pem, const std::filesystem::path& file) {
    const gnutls_datum_t data = datum(pem);
    gnutls_x509_crt_t* chain = nullptr;
    unsigned count = 0;
    check(gnutls_x509_crt_list_import2(&chain, &count, &data, GNUTLS_X509_FMT_PEM, 0), file);
    const time_t end = gnutls_x509_crt_get_expiration_time(chain[0]);
    for (gnutls_x509_crt_t certificate : std::span(chain, count))
        gnutls_x509_crt_deinit(certificate);
    gnutls_free(chain);
    // GnuTLS takes what comes before a certificate that is cut.
    unsigned begun = 0;
    constexpr std::string_view kBegin = "-----BEGIN ";
    for (size_t at = pem.find(kBegin); at != std::string::npos; at = pem.find(kBegin, at + 1))
        begun += pem.compare(at + kBegin.size(), 11, "CERTIFICATE") == 0 || pem.compare(at + kBegin.size(), 16, "X509 CERTIFICATE") == 0;
    if (begun != count) throw base::Error(file.string() + ": its last certificate is cut");
    return end;
}

std::pair<Credentials, time_t> load(const std::filesystem::path& certificate_file, const std::filesystem::path& key_file) {
    std::string certificate = base::read_file(certificate_file, kMaxFile);
    std::string key = base::read_file(key_file, kMaxFile);
    const time_t end = end_of(certificate, certificate_file);
    gnutls_certificate_credentials_t made = nullptr;
    check(gnutls_certificate_allocate_credentials(&made), certificate_file);
    Credentials credentials(made, gnutls_certificate_free_credentials);
    const gnutls_datum_t certificate_data = datum(certificate);
    const gnutls_datum_t key_data = datum(key);
    const int result = gnutls_certificate_set_x509_key_mem2(made, &certificate_data, &key_data, GNUTLS_X509_FMT_PEM, nullptr, 0);
    gnutls_memset(key.data(), 0, key.size());
    if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        throw base::Error(key_file.string() + ": it is not the key of " + certificate_file.string());
    check(result, key_file);
    return {credentials, end};
}

std::string date(time_t when) {
    std::tm parts{};
    char text[32];
    return {text, std::strftime(text, sizeof text, "%F", ::gmtime_r(&when, &parts))};
}

}  // namespace

Certificate::Certificate(std::filesystem::path certificate, std::filesystem::path key)
    : certificate_(std::move(certificate)),
      key_(std::move(key)),
      tried_(stamps()),
      seen_(tried_),
      current_(load(certificate_, key_).first) {}

Credentials Certificate::current() const {
    const std::lock_guard lock(mutex_);
    return current_;
}

Certificate::Stamp Certificate::stamp(const std::filesystem::path& file) {
    struct stat info {};
    if (::stat(file.c_str(), &info) < 0) return {};
    return {.device = info.st_dev,
            .inode = info.st_ino,
            .size = info.st_size,
            .times = {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec}};
}

void Certificate::check() {
    const Stamps found = stamps();
    const bool rests = found == std::exchange(seen_, found);
    if (rests && found != tried_) read(found);
}

void Certificate::reload() {
    read(stamps());
}

void Certificate::read(const Stamps& found) {
    tried_ = found;  // taken before the reading, so that a change meanwhile is one
    try {
        auto [credentials, end] = load(certificate_, key_);
        {
            const std::lock_guard lock(mutex_);
            current_.swap(credentials);
        }
        spdlog::info("new connections get the certificate of {}, valid until {}", certificate_.string(), date(end));
    } catch (const base::Error& e) {
        spdlog::error("the TLS certificate stays the one that was read before: {}", e.what());
    }
}

}  // namespace registry::server
