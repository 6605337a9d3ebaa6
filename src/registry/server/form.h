#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

struct MHD_Connection;
struct MHD_PostProcessor;

namespace registry::server {

// A form (multipart/form-data) that arrives in pieces. Its fields are kept; the field "file" goes to `on_file` as it arrives, possibly
// without bytes. Throws HttpError 400 for a request that is no form or is truncated, and for a field that comes twice or is too long.
class Form {
public:
    using OnFile = std::function<void(std::span<const std::byte>)>;
    // The limit in bytes for the fields, their names, and the boundaries between them, apart from the file's content.
    static constexpr uint64_t kMaxBesideFile = 64 << 10;

    Form(MHD_Connection* connection, OnFile on_file);

    void take(std::span<const std::byte> data);
    void finish();

    // Throws HttpError 400 where it has not come (yet).
    const std::string& field(const std::string& name) const;
    bool has(const std::string& name) const { return fields_.count(name) > 0; }
    bool has_file() const { return has_file_; }

private:
    friend struct FormPieces;
    void piece(const char* name, std::span<const std::byte> data, uint64_t offset);

    struct Free {
        void operator()(MHD_PostProcessor* processor) const;
    };
    std::unique_ptr<MHD_PostProcessor, Free> processor_;
    OnFile on_file_;
    std::map<std::string, std::string> fields_;
    bool has_file_ = false;
    std::exception_ptr thrown_;
};

}  // namespace registry::server
