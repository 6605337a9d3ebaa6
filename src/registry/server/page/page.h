#pragma once

#include <functional>
#include <memory>
#include <optional>
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
// Repositories of a user's own: those without a tag, with the form that makes one; what that form does; and the page of such a one, none
// where it is none of the user's. What is kept of the tags of a repository, in words; empty where that is all.
std::string empty_repositories(const Visit& visit);
Response make_repository(const Visit& visit, const Form& form);
std::optional<Response> empty_repository(const Visit& visit, const Name& name);
std::string kept_tags(const Visit& visit, const Name& name);

// For what forms do: the way to another page, a field (empty where it is missing), and an event of the user's.
Response see_other(const std::string& path);
std::string field(const Form& form, const char* name);
void tell(const Visit& visit, const char* event, const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

// On the page of an image or repository of the user's own: how to delete it.
std::string deletion(const Visit& visit, const Name& name);
// On the page of an image of the user's own: what can be done with it.
std::string ownership(const Visit& visit, const TaggedImage& image);

// How many entries of a list to leave out ("skip"; 0 where it is not given). Throws HttpError 400.
size_t parse_skip(const Request& request);

// The tag of a place, or the one set last where it names none. Throws HttpError 404.
TaggedImage find_image(const Visit& visit, const Name& name);
// What stands above all pages of an image; `view` is the one that is shown.
std::string image_head(const TaggedImage& image, std::string_view view);

}  // namespace registry::server::page
