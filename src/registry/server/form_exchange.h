#pragma once

#include <span>

#include "registry/server/form.h"
#include "registry/server/http.h"

namespace registry::server {

// A request that is a form without a file. A file is refused with HttpError 400.
class FormExchange : public Exchange {
public:
    explicit FormExchange(const Request& request);

    uint64_t max_body() const override { return Form::kMaxBesideFile; }
    void body(std::span<const std::byte> data) override { form_.take(data); }
    bool slow() const override { return true; }
    Response finish() override;

private:
    virtual Response answer(const Form& form) = 0;  // to the whole form

    Form form_;
};

}  // namespace registry::server
