# Writes the source of src/release/release.h, unless it is there already. cmake -D TOP=… -D VERSION=… -D OUTPUT=….cpp -P release.cmake
set(commit unknown)
# The file is filled in by `git archive`, and so in what GitHub and others offer as an archive of the sources.
file(READ ${TOP}/cmake/commit.txt archived)
if(archived MATCHES "^([0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f])[0-9a-f]*\n")
  set(commit ${CMAKE_MATCH_1})
endif()
# A repository of somebody else's, in which the sources lie, does not count: there the prefix is not empty.
execute_process(COMMAND git -C ${TOP} rev-parse --show-prefix OUTPUT_VARIABLE prefix RESULT_VARIABLE failure ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT failure AND prefix STREQUAL "")
  # Always of twelve digits: how many git would take depends on what else is in the clone.
  execute_process(COMMAND git -C ${TOP} describe --always --exclude=* --abbrev=12 --dirty=+ OUTPUT_VARIABLE described RESULT_VARIABLE failure ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT failure)
    set(commit ${described})
  endif()
endif()

set(text "#include \"release/release.h\"

namespace release {

const char* version() {
    return \"${VERSION}\";
}

const char* version_and_commit() {
    return \"${VERSION} (${commit})\";
}

}  // namespace release
")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUTPUT} "${text}")
endif()
