#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "registry/descriptor.h"
#include "registry/server/records.h"

namespace registry::server {

// Something that has happened, for the audit log and for webhooks (docs/spec/registry.md has their names and details). No secret may be
// among the details, and what a client has sent is in them as it came.
struct Event {
    std::string name;
    nlohmann::ordered_json details = nlohmann::ordered_json::object();  // texts, numbers, and no empty ones
};

// Gets events, from several threads. It neither throws nor waits.
using Tell = std::function<void(const Event&)>;

// Details of an image: its hashes and size.
nlohmann::ordered_json image_details(const std::string& id, const Descriptor& descriptor);

// "2026-11-28T08:12:33Z"
std::string time_text(Time time);
// The same with milliseconds, now.
std::string event_time();

// An event's details as one line of JSON, in ASCII: texts are cut after 400 bytes, and what is no UTF-8 in them becomes U+FFFD.
std::string event_line(const nlohmann::ordered_json& details);

}  // namespace registry::server
