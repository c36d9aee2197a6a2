-- Per database of the warehouse, and in template1, run as the server's superuser after 10-roles.sql. Idempotent.
-- Functions that every role may call by default. With them, a reader could hold the pipeline's locks (their keys are
-- public, and pg_locks shows them) or write to the disk.

do $$
declare
    function regprocedure;
begin
    for function in
        select oid from pg_catalog.pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            -- Not the unlocking functions: drivers call them when they take a connection back.
            and (proname ~ '^pg_(try_)?advisory_(xact_)?lock' or proname ~ '^lo_|^(loread|lowrite)$|^pg_logical_emit_message$')
    loop
        execute format('revoke execute on function %s from public', function);
        if function::text ~ 'advisory' then
            execute format('grant execute on function %s to owner, loader, transformer', function);
        end if;
    end loop;
end
$$;
