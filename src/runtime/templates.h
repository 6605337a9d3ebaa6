#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>

#include "runtime/options.h"
#include "vm/machine.h"
#include "vm/template_file.h"

namespace runtime {

// Throws base::Error where one of the runtime's own files cannot be opened.
void check_installed(const std::filesystem::path& file);

// The QEMU that the options ask for. Throws base::Error where it is missing.
vm::QemuProgram find_qemu(const Options& options);

// A machine of the options' shape with nothing but placeholders. Each shape has its own template, which serves every image
// (vm/template_store.h); templates are kept in CACHE_DIR/templates, at most 1 GiB. Throws base::Error where there is no QEMU.
vm::Machine bare_machine(const Options& options, vm::Accelerator accelerator);

// The template of a machine's shape. None where it is missing, unusable (logged), or templates are off. Throws base::Error for a machine
// that cannot be started at all.
std::optional<vm::TemplateFile> find_template(const Options& options, const vm::Machine& machine);

// Removes a template that has failed.
void drop_template(const Options& options, const vm::Machine& machine);

enum class TemplateOutcome { made, present, busy, refused };

// Whether a template is made beside a VM in use, on what CPU time is left (background), or somebody waits for it (awaited).
enum class TemplateUrgency { background, awaited };

// Boots a VM and saves it as its shape's template; the VM ends with us. The template is published only after a VM
// restored from it has answered; where two do not, that is remembered for a day (refused). Does nothing where there is one already
// (present), or another process is making one (busy). Throws base::Error.
boost::asio::awaitable<TemplateOutcome> make_template(boost::asio::any_io_executor executor, Options options, vm::Accelerator accelerator,
                                                      TemplateUrgency urgency);

// Like make_template(), but logs a failure: a VM can always be booted.
boost::asio::awaitable<void> try_make_template(boost::asio::any_io_executor executor, Options options, vm::Accelerator accelerator,
                                               TemplateUrgency urgency);

}  // namespace runtime
