#pragma once

#include <string>

#include "base/error.h"
#include "exeunit/ya_runtime_api.pb.h"

namespace exeunit {

// A supervisor's request that fails; it is answered with this code.
class RequestError : public base::Error {
public:
    using Code = ya_runtime_api::Error::Code;
    RequestError(Code code, const std::string& message) : base::Error(message), code_(code) {}
    Code code() const { return code_; }

private:
    Code code_;
};

}  // namespace exeunit
