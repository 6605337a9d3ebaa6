#pragma once

#include "agent/agent.pb.h"

namespace init {

// The programs that are part of init: init's own program, started a second time.
struct Builtin {
    agent::Builtin number;
    const char* name;              // its argv[0]
    int arguments;                 // that a request gives
    bool input;                    // it reads its stdin
    int (*run)(char** arguments);  // returns the exit code
};

// Null where there is none.
const Builtin* find_builtin(agent::Builtin number);

// Runs the one that argv[0] names; 2 where it names none. CHANGES has two more arguments: the numbers of the descriptors that
// write_changes takes.
int run_builtin(int argc, char** argv);

}  // namespace init
