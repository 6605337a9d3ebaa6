#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace vm_test {

// Writes a kernel that halts for ever at its first instruction: machine code with a PVH entry, in the smallest ELF file that QEMU starts.
inline void write_halting_kernel(const std::filesystem::path& path) {
    struct Segment {
        uint32_t type, flags;
        uint64_t offset, virtual_address, physical_address, file_size, memory_size, align;
    };
    struct Elf {
        uint8_t ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
        uint16_t type = 2, machine = 62;
        uint32_t version = 1;
        uint64_t entry = 0x100000, program_headers = 64, section_headers = 0;
        uint32_t flags = 0;
        uint16_t header_size = 64, program_header_size = 56, program_header_count = 2, section_size = 64, section_count = 0, names = 0;
        Segment code{1, 5, 0x1000, 0x100000, 0x100000, 16, 16, 0x1000};
        Segment note{4, 4, 176, 0, 0, 20, 20, 4};
        uint32_t note_name_size = 4, note_size = 4, note_type = 18;
        char note_name[4] = "Xen";
        uint32_t pvh_entry = 0x100000;
    } elf;
    std::string file(reinterpret_cast<const char*>(&elf), sizeof elf);
    file.resize(0x1000, '\0');
    file += "\xfa\xf4\xeb\xfd";  // cli; again: hlt; jmp again
    file.resize(0x1010, '\0');
    std::ofstream(path) << file;
}

}  // namespace vm_test
