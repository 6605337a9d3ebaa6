#pragma once

#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

struct gnutls_certificate_credentials_st;

namespace registry::server {

// A TLS certificate with its chain and key, as GnuTLS has them.
using Credentials = std::shared_ptr<gnutls_certificate_credentials_st>;

// The files of a certificate and its key, which are read anew when they have changed. One thread calls check and reload.
class Certificate {
public:
    // Reads them; throws base::Error that names the file that is wrong.
    Certificate(std::filesystem::path certificate, std::filesystem::path key);

    // What was read last, for a new connection, which keeps it until its end. Any thread.
    Credentials current() const;

    // Reads the files if they are not those that were read last. Files that are wrong leave what there is, and make one line in the log.
    // Called about once a second: what has changed is read once it has rested from one call to the next, since a renewal writes two files.
    void check();
    // Reads the files now.
    void reload();

private:
    // Which file a name leads to, and its last change. Links on the way are followed, so that it does not matter which of them was changed.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        std::array<int64_t, 4> times{};  // of the last modification and of the last change
        bool operator==(const Stamp&) const = default;
    };
    using Stamps = std::array<Stamp, 2>;

    static Stamp stamp(const std::filesystem::path& file);
    Stamps stamps() const { return {stamp(certificate_), stamp(key_)}; }
    void read(const Stamps& found);

    std::filesystem::path certificate_, key_;
    Stamps tried_;  // what was read last, with success or without
    Stamps seen_;   // at the last check
    mutable std::mutex mutex_;
    Credentials current_;
};

}  // namespace registry::server
