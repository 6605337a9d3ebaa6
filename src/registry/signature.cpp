#include "registry/signature.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace registry {
namespace {

constexpr size_t kMaxPem = 1 << 20;
constexpr size_t kMaxCertificates = 32;

template <auto Function>
struct Free {
    template <typename T>
    void operator()(T* object) const {
        Function(object);
    }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

// With OpenSSL's own reason, if there is one.
[[noreturn]] void fail(const std::string& what) {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    throw base::Error(reason ? what + ": " + reason : what);
}

Bio memory(const std::string& text) {
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!bio) fail("OpenSSL is out of memory");
    return bio;
}

Key read_key(const std::filesystem::path& path, const std::optional<std::filesystem::path>& passphrase_file) {
    const std::string pem = base::read_file(path, kMaxPem);
    std::string passphrase = passphrase_file ? base::read_file(*passphrase_file, 1024) : "";
    while (passphrase.ends_with('\n') || passphrase.ends_with('\r'))
        passphrase.pop_back();
    // Without a callback a given text is the passphrase, and without either OpenSSL asks on the terminal.
    Key key(PEM_read_bio_PrivateKey(memory(pem).get(), nullptr, nullptr, passphrase_file ? passphrase.data() : nullptr));
    if (!key) fail(path.string() + ": no private key in PEM that can be read");
    return key;
}

// All certificates of a PEM text, or the one of a DER.
std::vector<Certificate> parse_certificates(const std::string& text, const std::string& name) {
    std::vector<Certificate> certificates;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    if (Certificate der{d2i_X509(nullptr, &data, static_cast<long>(text.size()))}) {
        certificates.push_back(std::move(der));
        return certificates;
    }
    const Bio bio = memory(text);
    while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        certificates.emplace_back(certificate);
        if (certificates.size() > kMaxCertificates)
            throw base::Error(name + ": more than " + std::to_string(kMaxCertificates) + " certificates");
    }
    ERR_clear_error();  // the end of the text counts as one
    if (certificates.empty()) throw base::Error(name + ": no certificate");
    return certificates;
}

std::string subject(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    (void)X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<size_t>(std::max(0L, size))};
}

std::string pem_of(const std::vector<Certificate>& certificates) {
    const Bio bio(BIO_new(BIO_s_mem()));
    for (const Certificate& certificate : certificates) {
        if (!PEM_write_bio_X509(bio.get(), certificate.get())) fail("cannot write a certificate");
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<size_t>(size)};
}

// The key's own certificate comes last, its issuer before it, and so on; certificates outside the chain are left out.
std::vector<Certificate> chain_of(std::vector<Certificate> certificates, EVP_PKEY* key, const std::string& name) {
    std::vector<Certificate> chain;
    const auto take = [&](const auto& matches) {
        const auto found = std::find_if(certificates.begin(), certificates.end(), matches);
        if (found == certificates.end()) return false;
        chain.insert(chain.begin(), std::move(*found));
        certificates.erase(found);
        return true;
    };
    if (!take([key](const Certificate& c) { return X509_check_private_key(c.get(), key) == 1; })) {
        throw base::Error(name + ": no certificate of the key that signs");
    }
    while (take([&chain](const Certificate& c) { return X509_check_issued(c.get(), chain.front().get()) == X509_V_OK; })) {
    }
    ERR_clear_error();
    return chain;
}

const EVP_MD* digest(const std::string& algorithm) {
    const EVP_MD* md = EVP_get_digestbyname(algorithm.c_str());
    if (!md) throw base::Error("'" + algorithm + "' is no digest that OpenSSL knows");
    return md;
}

void check_chain(const std::vector<Certificate>& chain, const std::filesystem::path& authorities) {
    const Store store(X509_STORE_new());
    for (const Certificate& authority : parse_certificates(base::read_file(authorities, kMaxPem), authorities.string())) {
        if (!X509_STORE_add_cert(store.get(), authority.get())) fail(authorities.string() + ": not to be used as an authority");
    }
    const std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * s) { sk_X509_free(s); })> stack(sk_X509_new_null());
    for (const Certificate& certificate : chain)
        (void)sk_X509_push(stack.get(), certificate.get());
    const StoreContext context(X509_STORE_CTX_new());
    if (!context || !X509_STORE_CTX_init(context.get(), store.get(), chain.back().get(), stack.get())) fail("cannot check certificates");
    if (X509_verify_cert(context.get()) == 1) return;
    X509* at = X509_STORE_CTX_get_current_cert(context.get());
    const std::string reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
    throw base::Error("the certificate of " + subject(at ? at : chain.back().get()) + " does not hold: " + reason);
}

}  // namespace

SignedManifest sign_manifest(const std::string& json_text, const std::filesystem::path& key_path, const std::filesystem::path& certificates,
                             const std::optional<std::filesystem::path>& passphrase_file, const std::string& algorithm) {
    const Key key = read_key(key_path, passphrase_file);
    SignedManifest result;
    result.algorithm = algorithm;
    result.manifest = base64_encode(json_text);
    result.certificates = base64_encode(pem_of(
        chain_of(parse_certificates(base::read_file(certificates, kMaxPem), certificates.string()), key.get(), certificates.string())));

    const Context context(EVP_MD_CTX_new());
    const auto* data = reinterpret_cast<const unsigned char*>(result.manifest.data());
    size_t size = 0;
    if (!context || EVP_DigestSignInit(context.get(), nullptr, digest(algorithm), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, data, result.manifest.size()) != 1)
        fail(key_path.string() + ": this key cannot sign with " + algorithm);
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, result.manifest.size()) != 1)
        fail(key_path.string() + ": this key cannot sign with " + algorithm);
    signature.resize(size);
    result.signature = base64_encode(signature);
    return result;
}

std::string verify_manifest(const SignedManifest& manifest, const std::optional<std::filesystem::path>& authorities) {
    const std::string pem = base::with_context("the certificates", [&] { return base64_decode(manifest.certificates); });
    const std::vector<Certificate> chain = parse_certificates(pem, "the certificates");
    const std::string signature = base::with_context("the signature", [&] { return base64_decode(manifest.signature); });
    EVP_PKEY* key = X509_get0_pubkey(chain.back().get());
    if (!key) fail("the certificate of " + subject(chain.back().get()) + " has no key that can be read");
    const Context context(EVP_MD_CTX_new());
    if (!context || EVP_DigestVerifyInit(context.get(), nullptr, digest(manifest.algorithm), nullptr, key) != 1) {
        fail("the key of " + subject(chain.back().get()) + " cannot sign with " + manifest.algorithm);
    }
    const int verdict = EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                                         reinterpret_cast<const unsigned char*>(manifest.manifest.data()), manifest.manifest.size());
    ERR_clear_error();
    if (verdict != 1) throw base::Error("the signature is not one of " + subject(chain.back().get()) + " under this manifest");
    if (authorities) check_chain(chain, *authorities);
    return subject(chain.back().get());
}

std::string base64_encode(const std::string& bytes) {
    std::string text((bytes.size() + 2) / 3 * 4, '\0');
    // OpenSSL also writes the terminating zero, for which a string has room.
    (void)EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                          static_cast<int>(bytes.size()));
    return text;
}

std::string base64_decode(const std::string& text) {
    std::string plain = text;
    while (!plain.empty() && (plain.back() == '\n' || plain.back() == '\r' || plain.back() == ' '))
        plain.pop_back();
    std::string bytes(plain.size() / 4 * 3, '\0');
    const int size = plain.size() % 4 != 0
                         ? -1
                         : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                           reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
    if (size < 0) {
        ERR_clear_error();
        throw base::Error("not Base64");
    }
    const size_t padding = plain.ends_with("==") ? 2 : plain.ends_with('=') ? 1 : 0;
    bytes.resize(static_cast<size_t>(size) - padding);
    return bytes;
}

}  // namespace registry
