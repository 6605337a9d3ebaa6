#include "http/certificates.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_folder.h"

namespace {

TEST(CertificateAuthorities, AreWhereTheDistributionHasThem) {
    const base::TemporaryFolder root;
    EXPECT_EQ(http::certificate_authorities(root.path()), "");
    // Each comes before those that were there already.
    for (const char* place : {"etc/ssl/cert.pem", "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "etc/ssl/ca-bundle.pem",
                              "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt"}) {
        const std::filesystem::path file = root.path() / place;
        std::filesystem::create_directories(file);  // a folder is none
        EXPECT_NE(http::certificate_authorities(root.path()), file);
        std::filesystem::remove(file);
        std::ofstream(file) << "";
        EXPECT_EQ(http::certificate_authorities(root.path()), file);
    }
}

}  // namespace
