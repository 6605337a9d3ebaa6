#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <string_view>
#include <vector>

namespace init {

// The image's Env with PATH (Docker's default), HOME and HOSTNAME added where they are missing. The last of several with one name counts.
std::vector<std::string> environment(const google::protobuf::RepeatedPtrField<std::string>& env, const std::string& home,
                                     const std::string& hostname);

// Of several entries "K=V" with one name the last stays, in the place of the first.
std::vector<std::string> last_of_each(const std::vector<std::string>& entries);

// A variable's value; empty where it is not set.
std::string value_of(const std::vector<std::string>& environment, std::string_view name);

}  // namespace init
