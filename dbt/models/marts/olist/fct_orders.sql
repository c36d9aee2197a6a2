{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order_facts'}},
    indexes=[{'columns': ['customer_key']}],
) }}

{%- set total = var('olist_types')['total'] %}

with orders as (
    select * from {{ ref('int_orders_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

customers as (
    select * from {{ ref('int_customers_current') }}
),

customer_versions as (
    select * from {{ ref('dim_customer') }}
    where not is_inferred
),

-- All orders of the people who placed these orders: an unchanged order counts, too.
orders_of_people as (
    select
        all_customers.customer_unique_id,
        all_orders.order_id,
        all_orders.purchased_at
    from {{ ref('int_customers_current') }} as all_customers
    inner join {{ ref('int_orders_current') }} as all_orders on all_customers.customer_id = all_orders.customer_id
    where
        all_orders.purchased_at is not null
        and all_customers.customer_unique_id in (
            select buyers.customer_unique_id
            from orders
            inner join {{ ref('int_customers_current') }} as buyers on orders.customer_id = buyers.customer_id
        )
),

numbered_orders as (
    select
        order_id,
        cast(row_number() over (partition by customer_unique_id order by purchased_at, order_id) as integer)
            as person_order_number
    from orders_of_people
),

items_per_order as (
    select
        order_id,
        cast(count(*) as integer) as item_count,
        cast(count(distinct product_id) as integer) as product_count,
        cast(count(distinct seller_id) as integer) as seller_count,
        sum(price) as items_value,
        sum(freight_value) as order_freight_value
    from {{ ref('int_order_items_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
    group by order_id
),

payments_per_order as (
    select
        order_id,
        cast(count(*) as integer) as payment_count,
        sum(payment_value) as order_payment_value
    from {{ ref('int_order_payments_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
    group by order_id
),

reviews_per_order as (
    select
        order_id,
        cast(count(*) as integer) as review_count
    from {{ ref('int_order_reviews_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
    group by order_id
),

final as (
    select
        orders.order_id,
        case
            when orders.customer_id is null then {{ unknown_key() }}
            when customers.customer_id is null then {{ inferred_customer_key('orders.customer_id') }}
            else coalesce(customer_versions.customer_key, {{ unknown_key() }})
        end as customer_key,
        {{ date_key('orders.purchased_at') }} as purchase_date_key,
        {{ date_key('orders.approved_at') }} as approval_date_key,
        {{ date_key('orders.handed_to_carrier_at') }} as carrier_date_key,
        {{ date_key('orders.delivered_at') }} as delivery_date_key,
        {{ date_key('orders.estimated_delivery_at') }} as estimated_delivery_date_key,
        numbered_orders.person_order_number,
        coalesce(orders.order_status, 'unknown') as order_status,
        orders.purchased_at,
        orders.approved_at,
        orders.handed_to_carrier_at,
        orders.delivered_at,
        orders.estimated_delivery_at,
        cast(orders.approved_at as date) - cast(orders.purchased_at as date) as approval_days,
        cast(orders.handed_to_carrier_at as date) - cast(orders.approved_at as date) as handling_days,
        cast(orders.delivered_at as date) - cast(orders.handed_to_carrier_at as date) as transit_days,
        cast(orders.delivered_at as date) - cast(orders.purchased_at as date) as delivery_days,
        cast(orders.delivered_at as date) - cast(orders.estimated_delivery_at as date) as delay_days,
        case
            when orders.delivered_at is not null
                then coalesce(cast(orders.delivered_at as date) > cast(orders.estimated_delivery_at as date), false)
        end as is_late,
        coalesce(items_per_order.item_count, 0) as item_count,
        coalesce(items_per_order.product_count, 0) as product_count,
        coalesce(items_per_order.seller_count, 0) as seller_count,
        coalesce(payments_per_order.payment_count, 0) as payment_count,
        coalesce(reviews_per_order.review_count, 0) as review_count,
        cast(coalesce(items_per_order.items_value, 0) as {{ total }}) as items_value,
        cast(coalesce(items_per_order.order_freight_value, 0) as {{ total }}) as order_freight_value,
        cast(
            coalesce(items_per_order.items_value, 0) + coalesce(items_per_order.order_freight_value, 0) as {{ total }}
        ) as order_value,
        cast(coalesce(payments_per_order.order_payment_value, 0) as {{ total }}) as order_payment_value
    from orders
    left join customers on orders.customer_id = customers.customer_id
    left join customer_versions
        on
            customers.customer_unique_id = customer_versions.customer_unique_id
            and coalesce(orders.purchased_at, {{ beginning_of_time() }}) >= customer_versions.valid_from
            and (
                customer_versions.valid_to is null
                or coalesce(orders.purchased_at, {{ beginning_of_time() }}) < customer_versions.valid_to
            )
    left join numbered_orders on orders.order_id = numbered_orders.order_id
    left join items_per_order on orders.order_id = items_per_order.order_id
    left join payments_per_order on orders.order_id = payments_per_order.order_id
    left join reviews_per_order on orders.order_id = reviews_per_order.order_id
)

select * from final
