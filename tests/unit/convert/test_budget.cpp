#include "convert/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using convert::Budget;
using convert::Limits;
using oci::TarEntry;
using testing::ThrowsMessage;

constexpr Limits kLimits{.data_bytes = 1 << 20, .entries = 3, .name_bytes = 100, .attribute_bytes = 50};

TarEntry file(uint64_t size) {
    TarEntry entry;
    entry.path = std::string("a");  // not the literal: GCC 12 warns of its copy
    entry.size = size;
    return entry;
}

TEST(Budget, IsForAllEntriesTogether) {
    Budget budget(kLimits);
    EXPECT_NO_THROW(budget.take(file(1 << 19)));
    EXPECT_NO_THROW(budget.take(file(1 << 19)));
    EXPECT_THAT([&] { budget.take(file(1)); },
                ThrowsMessage<base::Error>("the image has more than 1.0 MiB of files, holes included (--limit-gib)"));
}

TEST(Budget, SizesThatAddUpToMoreThanANumberHoldsAreRefused) {
    Budget budget(kLimits);
    EXPECT_NO_THROW(budget.take(file(1)));
    EXPECT_THROW(budget.take(file(UINT64_MAX)), base::Error);
}

TEST(Budget, CountsEntries) {
    Budget budget(kLimits);
    for (int i = 0; i < 3; i++)
        budget.take(file(0));
    EXPECT_THAT([&] { budget.take(file(0)); }, ThrowsMessage<base::Error>("the image has more than 3 files and folders in its layers"));
}

TEST(Budget, CountsNamesAndTargets) {
    Budget budget(kLimits);
    TarEntry entry;
    entry.path = std::string(60, 'a');
    entry.target = std::string(40, 'b');
    EXPECT_NO_THROW(budget.take(entry));
    EXPECT_THAT([&] { budget.take(file(0)); }, ThrowsMessage<base::Error>("the image has more than 100 B of paths"));
}

TEST(Budget, CountsNamesAndValuesOfAttributes) {
    Budget budget(kLimits);
    TarEntry entry = file(0);
    entry.attributes = {{"user.a", std::string(20, 'x')}, {"user.b", std::string(18, 'x')}};
    EXPECT_NO_THROW(budget.take(entry));
    entry.attributes = {{"c", ""}};
    EXPECT_THAT([&] { budget.take(entry); }, ThrowsMessage<base::Error>("the image has more than 50 B of extended attributes"));
}

}  // namespace
