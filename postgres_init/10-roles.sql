-- Cluster-wide, run as the server's superuser in any database. Idempotent. Passwords are set by the caller.
-- The four roles of the warehouse. None is a superuser, and each has only one kind of user:
--   owner        admin of the databases: creates and drops them, applies the files that follow
--   loader       the pipeline: owns ops and the raw_<source> schemas
--   transformer  dbt: reads raw, owns staging, intermediate and marts
--   bi_reader    Power BI, psql, dashboards: reads marts

do $$
declare
    role_name text;
begin
    foreach role_name in array array['owner', 'loader', 'transformer', 'bi_reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('create role %I', role_name);
        end if;
    end loop;
end
$$;

alter role owner with login nosuperuser createdb createrole noreplication nobypassrls;
alter role loader with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role transformer with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role bi_reader with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;

-- owner may act as these roles (`set role`) to create schemas that they own; it does not inherit their permissions.
grant loader, transformer, bi_reader to owner with admin true, inherit false, set true;
-- `drop database … with (force)` must end the sessions of the other roles; ops.end_old_readers must find them, too.
grant pg_signal_backend, pg_read_all_stats to owner;

-- Limits of a reader, which it cannot change: sessions, and the size of a session's temporary files. The last sessions
-- that the server admits (`reserved_connections`) are for the pipeline.
alter role bi_reader connection limit 20;
alter role bi_reader set temp_file_limit = '1GB';
grant pg_use_reserved_connections to owner, loader, transformer;

-- Defaults of a reader, which a session may change.
-- A reader cannot write anyway, without grants; in a read-only transaction a slip gets a clear message.
alter role bi_reader set default_transaction_read_only = on;
alter role bi_reader set statement_timeout = '5min';
-- A report left open would block the next rebuild of the marts until its transaction ends.
alter role bi_reader set idle_in_transaction_session_timeout = '1min';
alter role bi_reader set search_path = marts;

-- By default every role may connect to these.
revoke all on database postgres, template1 from public;
grant connect on database postgres to owner;
