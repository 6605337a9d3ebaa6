#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <string_view>
#include <vector>

namespace init {

// The image's Env with PATH (Docker's where the image has none), HOME and HOSTNAME added where they are missing; of a name that is there
// twice the last counts.
std::vector<std::string> environment(const google::protobuf::RepeatedPtrField<std::string>& env, const std::string& home,
                                     const std::string& hostname);

// A variable's value; empty where there is none.
std::string value_of(const std::vector<std::string>& environment, std::string_view name);

}  // namespace init
