-- Per database, run as owner (or a superuser). Idempotent.
-- ops: what the pipeline has done. To add a column, write `alter table … add column if not exists` below its table.

set role loader;

-- One row per published batch of a table; if a batch was loaded again, only its last row is current.
create table if not exists ops.load_log (
    load_id bigint generated always as identity primary key,
    source text not null,
    table_name text not null,
    batch_date date not null,
    fingerprint text not null,
    rows bigint not null,
    loaded_at timestamptz not null default now(),
    is_current boolean not null
);
create unique index if not exists load_log_current on ops.load_log (source, table_name, batch_date) where is_current;

-- The keys whose rows a load changed, added or removed; one row with key null means every key of the table.
-- key: the columns of the table's unique key as text, joined by chr(31), null as ''.
create table if not exists ops.changed_keys (
    load_id bigint not null,
    source text not null,
    table_name text not null,
    key text
);
create index if not exists changed_keys_since on ops.changed_keys (source, load_id);
drop index if exists ops.changed_keys_load;

-- Rows of each stage, one row per table and batch. holds: every equation of the batch is true.
create table if not exists ops.reconciliation (
    source text not null,
    table_name text not null,
    batch_date date not null,
    records bigint not null,
    rejected bigint not null,
    bronze bigint not null,
    duplicates bigint not null,
    superseded bigint not null,
    quarantined bigint not null,
    silver bigint not null,
    raw bigint not null,
    holds boolean not null,
    checked_at timestamptz not null default now(),
    primary key (source, table_name, batch_date)
);
-- The most frequent reasons of rejected and quarantined records: {reason: records}.
alter table ops.reconciliation add column if not exists reasons jsonb not null default '{}';
-- Whether the batch was not loaded because too many of its records are bad. None of its rows are then in raw.
alter table ops.reconciliation add column if not exists is_held boolean not null default false;

-- Where the records of each table of a batch went, as the load published or held it: written in its transaction, so that
-- marts.data_quality, which stands on it, changes with the data. A withdrawn table has no row. A held batch has 0 loaded
-- and no loaded_at: rows of an earlier delivery stay, and are not counted here.
do $$
begin
    if to_regclass('ops.batch_counts') is null then
        create table ops.batch_counts (
            source text not null,
            table_name text not null,
            batch_date date not null,
            records bigint not null,
            rejected bigint not null,
            duplicates bigint not null,
            superseded bigint not null,
            quarantined bigint not null,
            loaded bigint not null,
            is_held boolean not null,
            loaded_at timestamptz,
            primary key (source, table_name, batch_date)
        );
        -- What versions without this table loaded is counted in ops.reconciliation. A withdrawn table counts 0 there, as
        -- an empty file does: both have no row until they are loaded again.
        insert into ops.batch_counts (
            source, table_name, batch_date, records, rejected, duplicates, superseded, quarantined, loaded, is_held,
            loaded_at
        )
        select
            counted.source, counted.table_name, counted.batch_date, counted.records, counted.rejected,
            counted.duplicates, counted.superseded, counted.quarantined, counted.raw, counted.is_held,
            case when not counted.is_held then loads.loaded_at end
        from ops.reconciliation as counted
        left join ops.load_log as loads
            on loads.source = counted.source and loads.table_name = counted.table_name
            and loads.batch_date = counted.batch_date and loads.is_current
        where counted.holds and counted.records > 0
            and (counted.is_held or loads.loaded_at <= counted.checked_at);
    end if;
end
$$;

-- Rows of a fact against the current keys of its source, one row per fact. Counts the keys that the last build rebuilt,
-- or all keys after a full refresh and in maintenance.
create table if not exists ops.mart_reconciliation (
    source text not null,
    mart text not null,
    source_rows bigint not null,
    mart_rows bigint not null,
    holds boolean not null,
    checked_at timestamptz not null default now(),
    primary key (source, mart)
);

-- The progress of a source's marts: load_id is the last load they contain.
create table if not exists ops.marts_state (
    source text primary key,
    load_id bigint not null,
    project_hash text not null,
    status text not null check (status in ('building', 'complete')),
    started_at timestamptz not null default now(),
    finished_at timestamptz
);

-- Every relation that the last full refresh made, as schema.name. If one is missing, the marts are not complete.
alter table ops.marts_state add column if not exists relations text[] not null default '{}';

-- One row per run of the pipeline.
create table if not exists ops.runs (
    run_id bigint generated always as identity primary key,
    source text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    status text not null,
    command text,
    rows_loaded bigint,
    seconds double precision,
    summary jsonb
);

-- The last claim of each batch. place: landing or drop; content changes with the batch; claimed_by: the run, or what
-- else has claimed the batch (lakehouse/pipeline/arrivals.py).
do $$ begin
    if to_regclass('ops.taken_up') is not null and to_regclass('ops.claims') is null then  -- its name in version 0.1.0
        alter table ops.taken_up rename to claims;
        alter table ops.claims rename column run_id to claimed_by;
        alter table ops.claims rename column taken_up_at to claimed_at;
        alter index ops.taken_up_pkey rename to claims_pkey;
    end if;
end $$;
create table if not exists ops.claims (
    source text not null,
    place text not null,
    batch_date date not null,
    content text not null,
    claimed_by text not null,
    claimed_at timestamptz not null default now(),
    primary key (source, place, batch_date)
);

-- Messages to Slack or the log: noted before they are sent, marked as sent afterwards. One row per event, kept
-- indefinitely: an event without a row is reported. happened_at: end of the run it is about. is_silent: never sent.
-- refusals: how often the receiver refused this message, but might have taken others; after five it is given up, with
-- sent_at and without sent_to.
create table if not exists ops.notices (
    event_id text primary key,
    notice_id bigint generated always as identity,
    subject text not null,
    kind text not null,
    happened_at timestamptz not null,
    is_silent boolean not null,
    text text not null,
    blocks jsonb not null,
    noted_at timestamptz not null default now(),
    attempts integer not null default 0,
    last_error text,
    sent_at timestamptz,
    sent_to text check (sent_to in ('slack', 'log'))
);
alter table ops.notices add column if not exists refusals integer not null default 0;
do $$
begin
    if not exists (
        select from pg_constraint where conrelid = 'ops.notices'::regclass and conname = 'notices_kind_check'
            and pg_get_constraintdef(oid) like '%waiting%'
    ) then
        alter table ops.notices drop constraint if exists notices_kind_check;  -- that of version 0.1.0
        alter table ops.notices add constraint notices_kind_check
            check (kind in ('success', 'failed', 'recovered', 'quality', 'summary', 'waiting'));
    end if;
end
$$;
create index if not exists notices_unsent on ops.notices (notice_id) where sent_at is null and not is_silent;
create index if not exists notices_of_subject on ops.notices (subject, happened_at);

grant usage, create on schema ops to owner;
reset role;

-- End the sessions of readers with a transaction that began longer ago, and tell how many. It would block the publishing
-- of the marts, and a reader may switch off its own time limits.
create or replace function ops.end_old_readers(older_than interval) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and usename = 'bi_reader' and xact_start < now() - older_than
$$;
revoke execute on function ops.end_old_readers(interval) from public;
grant execute on function ops.end_old_readers(interval) to transformer;
