#include "registry/server/certificate.h"

#include <gnutls/x509.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace registry::server {
namespace {

struct Pem {
    std::string certificate, key;
};

std::string text_of(gnutls_datum_t data) {
    std::string text(reinterpret_cast<const char*>(data.data), data.size);
    gnutls_free(data.data);
    return text;
}

Pem make_pem() {
    gnutls_x509_privkey_t key = nullptr;
    gnutls_x509_crt_t certificate = nullptr;
    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "\1", 1);
    gnutls_x509_crt_set_activation_time(certificate, std::time(nullptr));
    gnutls_x509_crt_set_expiration_time(certificate, 2'000'000'000);  // 2033-05-18
    gnutls_x509_crt_set_key(certificate, key);
    gnutls_datum_t certificate_text{};
    gnutls_datum_t key_text{};
    EXPECT_EQ(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
    EXPECT_EQ(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &certificate_text), 0);
    EXPECT_EQ(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text), 0);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return {text_of(certificate_text), text_of(key_text)};
}

class CertificateTest : public testing::Test {
protected:
    CertificateTest() {
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(log_)));
        put(first_);
    }
    ~CertificateTest() override { spdlog::set_default_logger(before_); }

    static void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }
    void put(const Pem& pem) const {
        write(certificate_file_, pem.certificate);
        write(key_file_, pem.key);
    }
    // How many lines were logged since the last call, with `text` in each.
    size_t logged(const std::string& text) {
        std::istringstream lines(log_.str());
        log_.str("");
        size_t count = 0;
        for (std::string line; std::getline(lines, line); count++)
            EXPECT_NE(line.find(text), std::string::npos) << line;
        return count;
    }
    void refused(const std::string& reason) const {
        try {
            const Certificate certificate(certificate_file_, key_file_);
            ADD_FAILURE() << "taken, not: " << reason;
        } catch (const base::Error& e) {
            EXPECT_NE(std::string(e.what()).find(reason), std::string::npos) << e.what();
        }
    }

    std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
    std::ostringstream log_;
    base::TemporaryFolder folder_;
    std::filesystem::path certificate_file_ = folder_.path() / "chain.pem", key_file_ = folder_.path() / "key.pem";
    Pem first_ = make_pem(), second_ = make_pem();
};

TEST_F(CertificateTest, IsReadAnewOnceItsFilesRest) {
    Certificate certificate(certificate_file_, key_file_);
    const Credentials before = certificate.current();
    for (int i = 0; i < 3; i++)
        certificate.check();
    EXPECT_EQ(certificate.current(), before);

    write(certificate_file_, second_.certificate);
    certificate.check();
    write(key_file_, second_.key);
    certificate.check();
    EXPECT_EQ(certificate.current(), before) << "it may change further";
    EXPECT_EQ(logged(""), 0u) << "and half of it was not read";
    certificate.check();
    EXPECT_NE(certificate.current(), before);
    certificate.check();
    EXPECT_EQ(logged("new connections get the certificate of " + certificate_file_.string() + ", valid until 2033-05-18"), 1u);
}

TEST_F(CertificateTest, StaysWhereTheFilesAreWrong) {
    Certificate certificate(certificate_file_, key_file_);
    const Credentials before = certificate.current();
    const std::string cut = second_.certificate.substr(0, second_.certificate.size() / 2);
    const auto stays = [&](const std::string& reason) {
        for (int i = 0; i < 5; i++)
            certificate.check();
        EXPECT_EQ(certificate.current(), before);
        EXPECT_EQ(logged(reason), 1u);
    };
    write(certificate_file_, second_.certificate);
    stays(key_file_.string() + ": it is not the key of " + certificate_file_.string());
    write(certificate_file_, cut);
    stays(certificate_file_.string() + ": ");
    write(certificate_file_, first_.certificate + cut);
    stays(certificate_file_.string() + ": ");
    write(certificate_file_, "");
    stays(certificate_file_.string() + ": ");
    write(certificate_file_, second_.certificate);
    write(key_file_, second_.key.substr(0, second_.key.size() / 2));
    stays(key_file_.string() + ": ");
    std::filesystem::remove(key_file_);
    stays("cannot open " + key_file_.string());
    put(first_);
    certificate.check();
    certificate.check();
    EXPECT_NE(certificate.current(), before);
}

TEST_F(CertificateTest, IsReadAtOnceWhereThatIsAskedFor) {
    Certificate certificate(certificate_file_, key_file_);
    const Credentials before = certificate.current();
    put(second_);
    certificate.reload();
    EXPECT_NE(certificate.current(), before);
    certificate.check();
    certificate.check();
    EXPECT_EQ(logged("new connections"), 1u) << "and not a second time";
    certificate.reload();
    EXPECT_EQ(logged("new connections"), 1u) << "also where nothing has changed";
}

TEST_F(CertificateTest, FollowsLinksOfFolders) {
    std::filesystem::create_directory(folder_.path() / "one");
    std::filesystem::create_directory(folder_.path() / "two");
    for (const auto& [name, pem] : {std::pair{"one", &first_}, {"two", &second_}}) {
        write(folder_.path() / name / "chain.pem", pem->certificate);
        write(folder_.path() / name / "key.pem", pem->key);
    }
    const std::filesystem::path link = folder_.path() / "link";
    std::filesystem::create_symlink("one", link);
    Certificate certificate(link / "chain.pem", link / "key.pem");
    const Credentials before = certificate.current();
    std::filesystem::remove(link);
    std::filesystem::create_symlink("two", link);
    certificate.check();
    certificate.check();
    EXPECT_NE(certificate.current(), before);
}

TEST_F(CertificateTest, TheStartNamesTheFileThatIsWrong) {
    write(key_file_, second_.key);
    refused(key_file_.string() + ": it is not the key of");
    write(key_file_, first_.certificate);
    refused(key_file_.string() + ": ");
    write(certificate_file_, second_.key);
    refused(certificate_file_.string() + ": ");
    std::filesystem::remove(certificate_file_);
    refused("cannot open " + certificate_file_.string());
}

}  // namespace
}  // namespace registry::server
