#include "registry/server/metrics.h"

#include <gmock/gmock.h>

#include "fixture.h"

namespace registry::server {
namespace {

using testing::HasSubstr;

class MetricsTest : public Registry {};

TEST_F(MetricsTest, CountsAndAsks) {
    add(TestImage("aaaabbbb"), State::full);
    add(TestImage("cccc"), State::bad);
    Metrics metrics;
    metrics.answered("GET", 200, 0);
    metrics.answered("GET", 200, 0);
    metrics.answered("POST", 400, 17);
    metrics.answered("<script>\n", 405, 3);
    const std::string text = metrics.text(metadata_, storage_);
    for (const char* line :
         {"uploads{state=\"partial\"} 0\n", "uploads{state=\"full\"} 1\n", "uploads{state=\"bad\"} 1\n", "image_bytes 8\n",
          "requests_total{method=\"GET\",code=\"200\"} 2\n", "requests_total{method=\"POST\",code=\"400\"} 1\n",
          "requests_total{method=\"other\",code=\"405\"} 1\n", "received_bytes_total 20\n"})
        EXPECT_THAT(text, HasSubstr(std::string("\ngvmkit_registry_") + line));
}

}  // namespace
}  // namespace registry::server
