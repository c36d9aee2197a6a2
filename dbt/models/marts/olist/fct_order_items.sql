{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order_facts'}},
    indexes=[{'columns': ['product_key']}, {'columns': ['seller_key']}],
) }}

with order_items as (
    select * from {{ ref('int_order_items_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

orders as (
    select
        order_id,
        customer_key,
        purchase_date_key,
        purchased_at,
        handed_to_carrier_at
    from {{ ref('fct_orders') }}
),

items_with_order as (
    select
        order_items.*,
        coalesce(orders.customer_key, {{ unknown_key() }}) as customer_key,
        coalesce(orders.purchase_date_key, 0) as purchase_date_key,
        orders.handed_to_carrier_at,
        -- Without its order, an item points to the first version of its product and seller.
        coalesce(orders.purchased_at, {{ beginning_of_time() }}) as valid_at
    from order_items
    left join orders on order_items.order_id = orders.order_id
),

products as (
    select * from {{ ref('dim_product') }}
    where product_key <> {{ unknown_key() }}
),

sellers as (
    select * from {{ ref('dim_seller') }}
    where seller_key <> {{ unknown_key() }}
),

customers as (
    select * from {{ ref('dim_customer') }}
),

customer_places as (
    select * from {{ ref('dim_geography') }}
),

seller_places as (
    select * from {{ ref('dim_geography') }}
),

final as (
    select
        items_with_order.order_id,
        items_with_order.order_item_id,
        items_with_order.customer_key,
        coalesce(products.product_key, {{ unknown_key() }}) as product_key,
        coalesce(sellers.seller_key, {{ unknown_key() }}) as seller_key,
        items_with_order.purchase_date_key,
        {{ date_key('items_with_order.shipping_limit_at') }} as shipping_limit_date_key,
        items_with_order.shipping_limit_at,
        case
            when items_with_order.handed_to_carrier_at is not null
                then coalesce(items_with_order.handed_to_carrier_at > items_with_order.shipping_limit_at, false)
        end as is_handed_over_late,
        {{ distance_km('customer_places', 'seller_places') }} as distance_km,
        items_with_order.price,
        items_with_order.freight_value
    from items_with_order
    left join products
        on
            items_with_order.product_id = products.product_id
            and items_with_order.valid_at >= products.valid_from
            and (products.valid_to is null or items_with_order.valid_at < products.valid_to)
    left join sellers
        on
            items_with_order.seller_id = sellers.seller_id
            and items_with_order.valid_at >= sellers.valid_from
            and (sellers.valid_to is null or items_with_order.valid_at < sellers.valid_to)
    left join customers on items_with_order.customer_key = customers.customer_key
    left join customer_places on customers.zip_code_prefix = customer_places.zip_code_prefix
    left join seller_places on sellers.zip_code_prefix = seller_places.zip_code_prefix
)

select * from final
