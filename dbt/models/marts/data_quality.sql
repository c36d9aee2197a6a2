{#
    Built for every source (tag `every_source`), with rows of all that the warehouse has. It reads what the load commits
    with the data, so it is right without a build, and daily builds leave it out (tag `static`). There is no staging view
    in between: a full refresh replaces that first, and this one would be gone until its turn.
#}
{{ config(materialized='view', tags=['static', 'every_source']) }}

with batch_counts as (
    select * from {{ source('ops', 'batch_counts') }}
),

final as (
    select
        source,
        table_name,
        batch_date,
        records,
        rejected,
        duplicates,
        superseded,
        quarantined,
        loaded,
        is_held,
        loaded_at at time zone 'UTC' as loaded_at
    from batch_counts
)

select * from final
