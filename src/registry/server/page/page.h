#pragma once

#include <functional>
#include <memory>
#include <string>

#include "registry/server/api.h"
#include "registry/server/page/html.h"

namespace registry::server::page {

// The page that `make` makes; an HttpError, or a data base or store that does not answer, becomes a page too.
Response as_page(const Request& request, Service& service, const PublicUrls& urls, const std::function<Response(const Visit&)>& make);

// What forms of the page send; none for other paths.
std::unique_ptr<Exchange> route_posted(const Request& request, Service& service, const PublicUrls& urls);

// What stands behind /image/: USER/REPOSITORY[:TAG][/VIEW[/REST]].
struct Place {
    Name name;  // the tag is empty where none is given
    std::string view, rest;
};
// Throws HttpError 400.
Place parse_place(const std::string& path);

// All images, or those that are searched for.
Response browse(const Visit& visit);
// A repository in a list of them.
std::string list_item(const ListedRepository& repository);
// An image, and the versions of its repository.
Response image(const Visit& visit, const Place& place);

// A folder or a file of an image; what has changed since another version; what the linter finds.
Response files(const Visit& visit, const Place& place);
Response changes(const Visit& visit, const Place& place);
Response checks(const Visit& visit, const Place& place);

// What a user has here, and the way in.
Response account(const Visit& visit);
Response sign_in(const Visit& visit);
// On the page of an image of the user's own: what can be done with it.
std::string ownership(const Visit& visit, const TaggedImage& image);

// How many entries of a list to leave out ("skip"; 0 where it is not given). Throws HttpError 400.
size_t parse_skip(const Request& request);

// The tag of a place, or the one set last where it names none. Throws HttpError 404.
TaggedImage find_image(const Visit& visit, const Name& name);
// What stands above all pages of an image; `view` is the one that is shown.
std::string image_head(const TaggedImage& image, std::string_view view);

}  // namespace registry::server::page
