-- Per database, run as owner (or a superuser). Idempotent.
-- Who reads what. Default privileges restore a grant when a table is dropped and created again (full refresh, publish
-- by rename).

set role loader;
-- These apply to the loader's schemas, ops and raw_<source>; those of ops are narrowed below.
alter default privileges grant usage on schemas to transformer;
alter default privileges grant select on tables to transformer;
grant usage on schema ops to transformer;
revoke all on all tables in schema ops from transformer;
grant select on ops.load_log, ops.changed_keys, ops.batch_counts to transformer;
grant select, insert, update, delete on ops.marts_state to transformer;
reset role;

set role transformer;
grant usage on schema marts to bi_reader;
grant select on all tables in schema marts to bi_reader;
alter default privileges in schema marts grant select on tables to bi_reader;
reset role;
