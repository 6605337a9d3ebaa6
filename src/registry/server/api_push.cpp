#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "registry/server/api.h"
#include "registry/server/errors.h"
#include "registry/server/form_exchange.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

constexpr size_t kMaxLogin = 16 << 10;
constexpr uint64_t kMaxChunk = uint64_t{1} << 40;  // the descriptor says how long a chunk is; Service holds it to that
constexpr Time kShortest = 60;                     // seconds that an image is kept
constexpr Time kLongest = Time{3650} * 86'400;
constexpr std::string_view kAttach = "/v1/image/descr/attach/";

// The seconds after which what is pushed is removed; 0 where the form does not say so.
Time ttl_of(const Form& form) {
    if (!form.has("ttl")) return 0;
    const std::string& text = form.field("ttl");
    Time ttl = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ttl);
    if (error != std::errc() || end != text.data() + text.size() || ttl < kShortest || ttl > kLongest)
        throw HttpError(http::kBadRequest, "ttl is not a number of seconds from 60 to 315360000");
    return ttl;
}

class Login : public Exchange {
public:
    Login(const Request& request, Service& service) : service_(service), address_(request.client()) {}
    uint64_t max_body() const override { return kMaxLogin; }
    void body(std::span<const std::byte> data) override { text_.append(reinterpret_cast<const char*>(data.data()), data.size()); }

    Response finish() override {
        std::string user;
        std::string password;
        try {
            const nlohmann::json json = base::parse_json(text_);
            user = json.at("username").get<std::string>();
            password = json.at("password").get<std::string>();
        } catch (const std::exception&) {
            throw HttpError(http::kBadRequest, R"(the body is not {"username": TEXT, "password": TEXT})");
        }
        if (!service_.login(user, password, address_)) throw HttpError(http::kUnauthorized, "wrong user name or token");
        return {.body = "logged in\n"};
    }

private:
    Service& service_;
    std::string address_;
    std::string text_;
};

class PushDescriptor : public Exchange {
public:
    PushDescriptor(const Request& request, Service& service)
        : service_(service),
          limited_(request.limited_address()),
          address_(request.client()),
          form_(request.connection, [this](std::span<const std::byte> data) { take(data); }) {}
    uint64_t max_body() const override { return Form::kMaxBesideFile + kMaxDescriptorBytes; }
    void body(std::span<const std::byte> data) override { form_.take(data); }
    bool slow() const override { return true; }

    Response finish() override {
        form_.finish();
        return {.body = service_.add_descriptor(bytes_, limited_, address_, ttl_of(form_)) + "\n"};
    }

private:
    void take(std::span<const std::byte> data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }

    Service& service_;
    std::string limited_, address_;
    std::vector<std::byte> bytes_;
    Form form_;
};

class PushChunk : public Exchange {
public:
    PushChunk(const Request& request, Service& service)
        : service_(service), form_(request.connection, [this](std::span<const std::byte> data) { take(data); }) {}
    uint64_t max_body() const override { return kMaxChunk; }
    void body(std::span<const std::byte> data) override { form_.take(data); }
    bool slow() const override { return true; }

    Response finish() override {
        form_.finish();
        if (!chunk_) throw HttpError(http::kBadRequest, "the form has no file");
        service_.end_chunk(*chunk_);
        return {.body = "stored\n"};
    }

private:
    void take(std::span<const std::byte> data) {
        if (!chunk_) {
            chunk_ = service_.begin_chunk({.descriptor = form_.field("descr-sha256"),
                                           .number = form_.field("chunk-no"),
                                           .sha256 = form_.field("chunk-sha256"),
                                           .position = form_.field("chunk-pos"),
                                           .length = form_.field("chunk-len")});
        }
        chunk_->writer->write(data);
    }

    Service& service_;
    std::optional<Service::Incoming> chunk_;
    Form form_;
};

class Attach : public FormExchange {
public:
    Attach(const Request& request, Service& service)
        : FormExchange(request), service_(service), id_(request.path.substr(kAttach.size())), address_(request.client()) {}

    Response answer(const Form& form) override {
        const Name name{.user = form.field("username"), .repository = form.field("repository"), .tag = form.field("tag")};
        const bool only_check = form.has("check") && form.field("check") == "true";
        service_.attach(id_, name, form.field("login"), form.field("token"), only_check, address_, ttl_of(form));
        return {.body = full_name(name) + (only_check ? " can be set\n" : " is set\n")};
    }

private:
    Service& service_;
    std::string id_, address_;
};

class SetRepository : public FormExchange {
public:
    SetRepository(const Request& request, Service& service) : FormExchange(request), service_(service), address_(request.client()) {}

    Response answer(const Form& form) override {
        const Name name{.user = form.field("username"), .repository = form.field("repository"), .tag = {}};
        const std::string& value = form.field("private");
        if (value != "true" && value != "false") throw HttpError(http::kBadRequest, "private is neither true nor false");
        service_.set_private(name, form.field("login"), form.field("token"), value == "true", address_);
        return {.body = full_name(name) + (value == "true" ? " is private\n" : " is public\n")};
    }

private:
    Service& service_;
    std::string address_;
};

}  // namespace

std::unique_ptr<Exchange> route_push(const Request& request, Service& service) {
    if (request.path == "/auth/pat/login") return std::make_unique<Login>(request, service);
    if (request.path == "/v1/image/push/descr") return std::make_unique<PushDescriptor>(request, service);
    if (request.path == "/v1/image/push/chunk") return std::make_unique<PushChunk>(request, service);
    if (request.path == "/v1/repository/settings") return std::make_unique<SetRepository>(request, service);
    if (request.path.starts_with(kAttach)) return std::make_unique<Attach>(request, service);
    return nullptr;
}

}  // namespace registry::server
