-- Per database, run as owner (or a superuser). Idempotent.
-- Schemas, each owned by the only role that writes to it. The loader creates raw_<source> when it first loads a source.

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
