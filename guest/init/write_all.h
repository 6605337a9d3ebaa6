#pragma once

#include <initializer_list>
#include <string_view>

namespace init {

// Writes all of it to a descriptor that blocks. Returns false, with errno set, where that fails.
bool write_all(int fd, std::string_view data);

// Writes a line of these words; what cannot be written is lost.
void tell(int fd, std::initializer_list<std::string_view> words);

}  // namespace init
