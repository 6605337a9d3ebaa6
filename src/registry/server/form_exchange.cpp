#include "registry/server/form_exchange.h"

#include "registry/server/errors.h"

namespace registry::server {

FormExchange::FormExchange(const Request& request)
    : form_(request.connection, [](std::span<const std::byte>) { throw HttpError(http::kBadRequest, "no file is wanted here"); }) {}

Response FormExchange::finish() {
    form_.finish();
    return answer(form_);
}

}  // namespace registry::server
