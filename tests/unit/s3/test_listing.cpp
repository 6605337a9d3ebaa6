#include "s3/listing.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace s3 {
namespace {

TEST(ListingTest, TakesKeysSizesAndTheToken) {
    const Listing listing = parse_listing(R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>images</Name><Prefix>a/</Prefix><IsTruncated>true</IsTruncated>
  <Contents><Key>a/x&amp;y</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&#34;0&#34;</ETag><Size>12</Size>
    <Owner><ID>Key</ID><Size>7</Size></Owner></Contents>
  <Contents><Size>0</Size><Key>a/z</Key></Contents>
  <CommonPrefixes><Prefix>a/b</Prefix></CommonPrefixes><NextContinuationToken>t/+=</NextContinuationToken></ListBucketResult>)");
    ASSERT_EQ(listing.objects.size(), 2u);
    EXPECT_EQ(listing.objects[0].key, "a/x&y");
    EXPECT_EQ(listing.objects[0].size, 12u);
    EXPECT_EQ(listing.objects[1].key, "a/z");
    EXPECT_EQ(listing.objects[1].size, 0u);
    EXPECT_EQ(listing.next, "t/+=");
    EXPECT_TRUE(parse_listing("<ListBucketResult/>").objects.empty());
}

TEST(ListingTest, RefusesWhatIsNoListing) {
    for (const char* text :
         {"", "x", "<Error/>", "<ListBucketResult>", "<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>",
          "<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
          "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><ListBucketResult>&b;</Other>"})
        EXPECT_THROW(parse_listing(text), base::Error) << text;
}

TEST(ListingTest, TakesUploadsInParts) {
    const std::vector<PartialUpload> uploads = parse_uploads(
        "<ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>composed/x</Key><UploadId>1</UploadId><Initiator><ID>me</ID></"
        "Initiator>"
        "</Upload><Upload><UploadId>2</UploadId><Key>composed/y</Key></Upload></ListMultipartUploadsResult>");
    ASSERT_EQ(uploads.size(), 2u);
    EXPECT_EQ(uploads[0].key + uploads[0].id, "composed/x1");
    EXPECT_EQ(uploads[1].key + uploads[1].id, "composed/y2");
    EXPECT_THROW(parse_uploads("<ListBucketResult/>"), base::Error);
    EXPECT_EQ(upload_id("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"), "u");
    EXPECT_THROW(upload_id("<Error/>"), base::Error);
}

TEST(ListingTest, AnErrorsCodeAndMessage) {
    EXPECT_EQ(error_text("<Error><Code>NoSuchBucket</Code><Message>It is not there</Message></Error>"), "NoSuchBucket: It is not there");
    EXPECT_EQ(error_text("plain\n"), "plain");
    EXPECT_EQ(error_text("</Code><Code>"), "</Code><Code>");
}

}  // namespace
}  // namespace s3
