#include "registry/server/form.h"

#include <microhttpd.h>

#include "registry/server/errors.h"

namespace registry::server {
namespace {

constexpr size_t kBuffer = 16 << 10;  // also the limit of a field's head; see http.cpp, kConnectionMemory
constexpr size_t kMaxField = 4096;
constexpr size_t kMaxFields = 16;

}  // namespace

struct FormPieces {
    // libmicrohttpd is C: an exception waits until the call has returned.
    static MHD_Result take(void* cls, MHD_ValueKind, const char* key, const char*, const char*, const char*, const char* data,
                           uint64_t offset, size_t size) {
        auto& form = *static_cast<Form*>(cls);
        try {
            form.piece(key ? key : "", std::as_bytes(std::span(data, size)), offset);
            return MHD_YES;
        } catch (...) {
            form.thrown_ = std::current_exception();
            return MHD_NO;
        }
    }
};

void Form::Free::operator()(MHD_PostProcessor* processor) const {
    (void)MHD_destroy_post_processor(processor);
}

Form::Form(MHD_Connection* connection, OnFile on_file)
    : processor_(MHD_create_post_processor(connection, kBuffer, &FormPieces::take, this)), on_file_(std::move(on_file)) {
    if (!processor_) throw HttpError(http::kBadRequest, "the request's body is not multipart/form-data");
}

void Form::take(std::span<const std::byte> data) {
    const MHD_Result result = MHD_post_process(processor_.get(), reinterpret_cast<const char*>(data.data()), data.size());
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (result != MHD_YES) throw HttpError(http::kBadRequest, "the form in the request's body is malformed");
}

void Form::finish() {
    const MHD_Result result = MHD_destroy_post_processor(processor_.release());
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (result != MHD_YES) throw HttpError(http::kBadRequest, "the form in the request's body is cut");
}

void Form::piece(const char* name, std::span<const std::byte> data, uint64_t offset) {
    if (std::string_view(name) == "file") {
        if (offset == 0 && has_file_ && !data.empty()) throw HttpError(http::kBadRequest, "the form has two files");
        has_file_ = has_file_ || !data.empty();
        on_file_(data);
        return;
    }
    // A field's first piece may be empty, where its head came alone, and the second then starts at 0 too.
    if (offset == 0 && !data.empty() && has(name) && !fields_[name].empty())
        throw HttpError(http::kBadRequest, "the form has a field twice");
    if (fields_.size() >= kMaxFields && !has(name)) throw HttpError(http::kBadRequest, "the form has too many fields");
    std::string& value = fields_[name];
    if (value.size() + data.size() > kMaxField) throw HttpError(http::kBadRequest, "a field of the form is too long");
    value.append(reinterpret_cast<const char*>(data.data()), data.size());
}

const std::string& Form::field(const std::string& name) const {
    const auto it = fields_.find(name);
    if (it == fields_.end()) throw HttpError(http::kBadRequest, "the form has no " + name + " (it must come before the file)");
    return it->second;
}

}  // namespace registry::server
