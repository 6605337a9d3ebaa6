#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dbg/vm_folder.h"
#include "debug/client.h"
#include "oci/stream.h"

namespace dbg {

// A part of the guest's init (debug::Builtin) for code that blocks, such as libarchive's. Memory is bounded, and the other side waits. All
// functions throw base::Error that names the VM where the part or the VM has failed.
class GuestProgram {
public:
    enum class Use { read, write };  // what is written to drops its own output
    // Whether the functions throw once SIGINT, SIGTERM or SIGHUP has come, so that what is half done can be tidied up; otherwise these end
    // the process as ever. `taken` until this object's end, one at a time.
    enum class Signals { taken, left };

    GuestProgram(const Vm& vm, debug::Builtin part, const std::vector<std::string>& arguments, Use use, Signals signals = Signals::taken);
    ~GuestProgram();  // ends a program that still runs
    GuestProgram(const GuestProgram&) = delete;
    GuestProgram& operator=(const GuestProgram&) = delete;

    // The next bytes of its output, at most 32 KiB, valid until the next call; empty once it has ended well.
    std::span<const std::byte> read();

    void write(std::span<const std::byte> data);
    // Ends what is written, and waits until it has ended well.
    void finish();

    // What it has said on stderr: lines, safe to show, the last 8 KiB.
    std::string warnings() const;

private:
    template <typename T>
    T wait(boost::asio::awaitable<T> work);
    boost::asio::awaitable<void> watch();
    void keep(const debug::Output& output);
    void check_end();

    std::string vm_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_{io_};
    std::unique_ptr<debug::Process> process_;
    std::optional<debug::Output> output_;
    std::string said_;
    std::exception_ptr failure_;
    bool interrupted_ = false;
    bool ended_ = false;
};

// What a program writes, as a stream. The program outlives it.
oci::StreamPtr output_of(GuestProgram& program);

}  // namespace dbg
