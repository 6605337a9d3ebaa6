// What these programs are. The source is made at each build by cmake/release.cmake, and compiled anew where its text has changed.
#pragma once

namespace release {

// "0.1.0", as packages have it.
const char* version();

// "0.1.0 (fd92b2b31bfe)": with the commit that they were built from. A '+' behind it: files that belong to the commit had been changed.
// "unknown" where the sources did not tell it (cmake/commit.txt).
const char* version_and_commit();

}  // namespace release
