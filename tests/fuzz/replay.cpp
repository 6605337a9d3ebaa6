// Gives each file of the folders to a fuzz target, without libFuzzer: the corpus as a test.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string content{std::istreambuf_iterator<char>(file), {}};
            (void)std::printf("%s\n", entry.path().c_str());
            (void)std::fflush(stdout);
            (void)LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(content.data()), content.size());
            count++;
        }
    }
    return count > 0 ? 0 : 1;
}
