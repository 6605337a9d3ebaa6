// Folder s3: objects in a store that speaks S3 (Amazon's, Ceph, MinIO, versitygw).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "http/client.h"

namespace s3 {

// Where the objects are, as a user says it.
struct Place {
    std::string url;                   // s3://BUCKET or s3://BUCKET/PREFIX
    std::string endpoint = {};         // http(s)://HOST[:PORT]; empty: Amazon's of the region
    std::string region = {};           // empty: AWS_REGION, AWS_DEFAULT_REGION, us-east-1
    bool path_style = false;           // ENDPOINT/BUCKET/KEY instead of BUCKET.ENDPOINT/KEY
    std::string public_endpoint = {};  // by which others reach it; empty: the endpoint
};

struct Settings {
    std::string name;                // for messages: s3://BUCKET/PREFIX
    std::string bucket;              // its URL, without a slash at the end
    std::string prefix;              // of every key: empty, or with a slash at its end
    std::string public_bucket = {};  // as `bucket`, by which others reach it
    http::AwsKeys keys;
};

// The value of an environment variable; none where it is not set or empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> environment(const char* name);

// Takes the keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN), or else from the section AWS_PROFILE
// ("default") of the AWS tools' file (AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials). Throws base::Error where the place makes no sense
// or there are no keys.
Settings settings(const Place& place, const Environment& variable = environment);

}  // namespace s3
