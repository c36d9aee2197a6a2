{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order_facts'}},
    incremental_predicates=["order_id <> 'unknown'"],
) }}

with orders as (
    select * from {{ ref('fct_orders') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

order_items as (
    select
        order_id,
        seller_id
    from {{ ref('int_order_items_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

payments as (
    select
        order_id,
        coalesce(payment_type, 'unknown') as payment_type,
        payment_value
    from {{ ref('int_order_payments_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

reviews as (
    select order_id from {{ ref('int_order_reviews_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

items_per_order as (
    select
        order_id,
        count(*) as item_count,
        count(distinct seller_id) as seller_count
    from order_items
    group by order_id
),

value_per_type as (
    select
        order_id,
        payment_type,
        sum(payment_value) as payment_value
    from payments
    group by order_id, payment_type
),

ranked_types as (
    select
        order_id,
        payment_type,
        row_number() over (
            partition by order_id order by coalesce(payment_value, 0) desc, payment_type asc
        ) as precedence
    from value_per_type
),

main_types as (
    select
        order_id,
        payment_type
    from ranked_types
    where precedence = 1
),

-- Also orders that only an item, a payment or a review names, until they come.
named_orders as (
    select order_id from orders
    union
    select order_id from order_items
    union
    select order_id from payments
    union
    select order_id from reviews
),

described as (
    select
        named_orders.order_id,
        orders.order_status,
        orders.purchased_at,
        orders.is_late,
        orders.delay_days,
        orders.person_order_number,
        coalesce(items_per_order.item_count, 0) as item_count,
        coalesce(items_per_order.seller_count, 0) as seller_count,
        main_types.payment_type,
        orders.order_id is null as is_inferred
    from named_orders
    left join orders on named_orders.order_id = orders.order_id
    left join items_per_order on named_orders.order_id = items_per_order.order_id
    left join main_types on named_orders.order_id = main_types.order_id
    where named_orders.order_id is not null
),

members as (
    select
        order_id,
        coalesce(order_status, 'unknown') as order_status,
        case
            when is_inferred then 'unknown'
            when is_late is null then 'not delivered'
            when is_late then 'late'
            else 'on time'
        end as delivery,
        case
            when is_inferred then 'unknown'
            when is_late is null then 'not delivered'
            when delay_days is null then 'unknown'
            when delay_days <= -15 then '15+ days early'
            when delay_days <= -8 then '8-14 days early'
            when delay_days <= -1 then '1-7 days early'
            when delay_days = 0 then 'on the day'
            when delay_days <= 3 then '1-3 days late'
            when delay_days <= 7 then '4-7 days late'
            else '8+ days late'
        end as delay_band,
        case
            when seller_count = 0 then 'none'
            when seller_count = 1 then 'one'
            else 'several'
        end as seller_band,
        case
            when item_count = 0 then 'none'
            when item_count = 1 then '1'
            when item_count = 2 then '2'
            else '3+'
        end as item_band,
        coalesce(payment_type, 'none') as main_payment_type,
        person_order_number = 1 as is_first_order,
        cast(extract(hour from purchased_at) as integer) as purchase_hour,
        cast(extract(dow from purchased_at) as integer) as purchase_day,
        is_inferred
    from described
    {% if not changed_only() %}
    union all
    select
        {{ unknown_key() }} as order_id,
        'unknown' as order_status,
        'unknown' as delivery,
        'unknown' as delay_band,
        'unknown' as seller_band,
        'unknown' as item_band,
        'unknown' as main_payment_type,
        cast(null as boolean) as is_first_order,
        cast(null as integer) as purchase_hour,
        cast(null as integer) as purchase_day,
        true as is_inferred
    {% endif %}
),

final as (
    select
        order_id,
        order_status,
        delivery,
        delay_band,
        case delay_band
            when '15+ days early' then 1 when '8-14 days early' then 2 when '1-7 days early' then 3
            when 'on the day' then 4 when '1-3 days late' then 5 when '4-7 days late' then 6
            when '8+ days late' then 7 when 'not delivered' then 8
        end as delay_band_number,
        seller_band,
        item_band,
        main_payment_type,
        is_first_order,
        purchase_hour,
        case purchase_day
            when 1 then 'Monday' when 2 then 'Tuesday' when 3 then 'Wednesday' when 4 then 'Thursday'
            when 5 then 'Friday' when 6 then 'Saturday' when 0 then 'Sunday' else 'unknown'
        end as purchase_weekday,
        case when purchase_day = 0 then 7 else purchase_day end as purchase_weekday_number,
        is_inferred
    from members
)

select * from final
