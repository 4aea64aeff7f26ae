create table _about (layout varchar, artifacts varchar);
create table _stamps (name varchar, version integer, stamp bigint, has_rows boolean, path_stats varchar, verdicts varchar);
create table artifacts (
  name varchar,
  version integer,
  kind varchar,
  maker varchar,
  edition integer,
  content varchar,
  rows bigint,
  rows_are varchar,
  bytes bigint,
  built_at timestamp
);
create table params (name varchar, version integer, param varchar, value varchar);
create table facts (name varchar, version integer, fact varchar, value varchar);
create table inputs (name varchar, version integer, position integer, input varchar, input_content varchar);
create table drops_by_reason (name varchar, version integer, reason varchar, rows bigint);
