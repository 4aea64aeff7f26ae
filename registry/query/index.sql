create table _about (layout integer, artifacts varchar);
create table _stamps (name varchar, version integer, stamp bigint, has_rows boolean, has_path_stats boolean);
create table artifacts (
  name varchar,
  version integer,
  kind varchar,
  maker varchar,
  edition integer,
  content varchar,
  rows bigint,
  bytes bigint,
  built_at timestamp
);
create table inputs (name varchar, version integer, position integer, input varchar, input_content varchar);
create table drops_by_reason (name varchar, version integer, reason varchar, rows bigint);
create table scores (
  name varchar,
  version integer,
  model varchar,
  dataset varchar,
  metric varchar,
  value double,
  low double,
  high double,
  n bigint
);
create table _no_drops (
  source varchar,
  question_id varchar,
  model varchar,
  draw integer,
  line bigint,
  reason varchar,
  detail varchar
);
