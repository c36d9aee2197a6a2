{{ config(
    meta={'replaces': {'column': 'seller_id', 'entity': 'seller'}},
    incremental_predicates=["seller_key <> 'unknown'"],
    indexes=[{'columns': ['seller_id']}, {'columns': ['zip_code_prefix']}],
) }}

{% set attributes = {'zip_code_prefix': 'text', 'city': 'text', 'state': 'text'} %}

with {{ versions_by_batch('seller', ref('stg_sellers'), 'seller_id', seller_attributes(), entity='seller') }},

delivered as (
    select
        seller_id,
        coalesce(zip_code_prefix, 'unknown') as zip_code_prefix,
        coalesce(city, 'unknown') as city,
        coalesce(state, 'unknown') as state,
        valid_from,
        valid_to,
        false as is_inferred
    from seller_versions
),

order_items as (
    select seller_id from {{ ref('int_order_items_current') }}
    {{ keep_changed('seller_id', 'missing_seller') }}
),

undelivered as (
    select distinct order_items.seller_id
    from order_items
    where not exists (
        select 1 from {{ ref('stg_sellers') }} as sellers
        where sellers.seller_id = order_items.seller_id
    )
),

inferred as (
    select
        seller_id,
        {{ undescribed(attributes) | indent }}
    from undelivered
    where seller_id is not null
),

{{ members('seller_key', 'seller_id', attributes, ctes=['delivered', 'inferred']) }},

final as (
    select
        seller_key,
        seller_id,
        zip_code_prefix,
        city,
        state,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        is_inferred
    from members
)

select * from final
