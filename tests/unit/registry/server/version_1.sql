-- The data base of a gvmkit-registry that tied uploads to chunks by text, as it was: never change it.
CREATE TABLE users (
    name TEXT PRIMARY KEY,
    quota INTEGER,
    created INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    hash TEXT NOT NULL,
    note TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_user ON tokens (user);
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    descriptor BLOB NOT NULL,
    sha3 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    uses INTEGER NOT NULL DEFAULT 0,
    touched INTEGER NOT NULL
, known INTEGER NOT NULL DEFAULT 0, stored INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX uploads_sha3 ON uploads (sha3);
CREATE TABLE upload_chunks (
    chunk TEXT NOT NULL,
    upload TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
    PRIMARY KEY (chunk, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_chunks_upload ON upload_chunks (upload);
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE (user, name)
) STRICT;
CREATE TABLE tags (
    repository INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    name TEXT NOT NULL,
    upload TEXT NOT NULL REFERENCES uploads,
    changed INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_upload ON tags (upload);
CREATE TABLE blocked (
    hash TEXT PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX uploads_anonymous ON uploads (stored) WHERE known = 0;
CREATE INDEX uploads_touched ON uploads (touched);
PRAGMA user_version = 1;
