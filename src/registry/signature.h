#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace registry {

// What a provider gets with a manifest (docs/spec/registry.md), all in Base64.
struct SignedManifest {
    std::string manifest;              // of the JSON text: this text is what is signed
    std::string signature;             // of the raw signature
    std::string certificates;          // of the signer's chain as PEM, the signer's own last, as providers take it
    std::string algorithm = "sha256";  // the digest's name
};

// Signs a manifest's JSON text with a private key in PEM; the passphrase comes from the file, else from the terminal. The PEM file
// `certificates`, in any order, must hold that key's certificate. Throws base::Error.
SignedManifest sign_manifest(const std::string& json_text, const std::filesystem::path& key, const std::filesystem::path& certificates,
                             const std::optional<std::filesystem::path>& passphrase_file, const std::string& algorithm);

// Checks the signature, and the chain up to a certificate in the PEM file `authorities`, as a provider does. Without such a file only the
// signature is checked. Returns the signer's name. Throws base::Error that says what is wrong.
std::string verify_manifest(const SignedManifest& manifest, const std::optional<std::filesystem::path>& authorities);

std::string base64_encode(const std::string& bytes);
// Trailing blanks and line ends are allowed. Throws base::Error.
std::string base64_decode(const std::string& text);

}  // namespace registry
