-- Per database, run as owner (or a superuser). Idempotent.
-- Schemas, each owned by the one role that writes to it. raw_<source> is made by the loader when a source is first loaded.

do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, temporary, create on database %I to loader', current_database());
    execute format('grant connect, temporary on database %I to transformer', current_database());
    execute format('grant connect on database %I to bi_reader', current_database());
end
$$;

revoke all on schema public from public;

create schema if not exists ops authorization loader;
create schema if not exists staging authorization transformer;
create schema if not exists intermediate authorization transformer;
create schema if not exists marts authorization transformer;
