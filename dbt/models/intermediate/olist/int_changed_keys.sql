{{ config(
    incremental_strategy='accumulate',
    indexes=[{'columns': ['entity', 'changed_key'], 'unique': true}],
    post_hook='analyze {{ this }}',
) }}

-- dbt parses only one of the two branches below, so all models that they read are named here:
-- depends_on: {{ ref('stg_customers') }}
-- depends_on: {{ ref('stg_order_items') }}
-- depends_on: {{ ref('stg_orders') }}
-- depends_on: {{ ref('stg_products') }}
-- depends_on: {{ ref('stg_sellers') }}
{% if not changed_only() %}

-- A full refresh rebuilds everything, so nothing is listed.
select
    cast(load_id as bigint) as since_load_id,
    cast(table_name as varchar(20)) as entity,
    key as changed_key
from {{ ref('stg_changed_keys') }}
where 1 = 0

{% else %}

-- The old tables are joined where they are needed, not imported as CTEs: a CTE used twice would be read whole.
with loaded as (
    select
        table_name,
        split_part(key, chr(31), 1) as first_key,
        split_part(key, chr(31), 2) as second_key
    from {{ ref('stg_changed_keys') }}
    where load_id > {{ watermark() }} and key is not null
),

changed_customers as (
    select distinct first_key as customer_id
    from loaded
    where table_name = 'customers'
),

changed_order_rows as (
    select distinct first_key as order_id
    from loaded
    where table_name = 'orders'
),

changed_orders as (
    select first_key as order_id
    from loaded
    where table_name in ('orders', 'order_items', 'order_payments')
    union
    select second_key as order_id
    from loaded
    where table_name = 'order_reviews'
),

-- People whose address or orders changed, before and after. A customer_id without a row counts as a person.

touched_customers as (
    select customer_id
    from changed_customers
    union
    select old_orders.customer_id
    from changed_order_rows
    inner join {{ old_rows_of('intermediate', 'int_orders_current') }} as old_orders
        on changed_order_rows.order_id = old_orders.order_id
    union
    select new_orders.customer_id
    from changed_order_rows
    inner join {{ ref('stg_orders') }} as new_orders on changed_order_rows.order_id = new_orders.order_id
),

changed_people as (
    select customer_id as customer_unique_id
    from touched_customers
    union
    select old_customers.customer_unique_id
    from touched_customers
    inner join {{ old_rows_of('intermediate', 'int_customers_current') }} as old_customers
        on touched_customers.customer_id = old_customers.customer_id
    union
    select new_customers.customer_unique_id
    from touched_customers
    inner join {{ ref('stg_customers') }} as new_customers on touched_customers.customer_id = new_customers.customer_id
),

customers_of_changed_people as (
    select customer_id
    from touched_customers
    union
    select old_customers.customer_id
    from changed_people
    inner join {{ old_rows_of('intermediate', 'int_customers_current') }} as old_customers
        on changed_people.customer_unique_id = old_customers.customer_unique_id
),

orders_of_changed_people as (
    select old_orders.order_id
    from customers_of_changed_people
    inner join {{ old_rows_of('intermediate', 'int_orders_current') }} as old_orders
        on customers_of_changed_people.customer_id = old_orders.customer_id
),

-- Products and sellers: those that the source sent, and those that only an order item names.

loaded_products as (
    select distinct first_key as product_id
    from loaded
    where table_name = 'products'
),

loaded_sellers as (
    select distinct first_key as seller_id
    from loaded
    where table_name = 'sellers'
),

items_of_changed_orders as (
    select
        old_order_items.product_id,
        old_order_items.seller_id
    from changed_orders
    inner join {{ old_rows_of('intermediate', 'int_order_items_current') }} as old_order_items
        on changed_orders.order_id = old_order_items.order_id
    union
    select
        new_order_items.product_id,
        new_order_items.seller_id
    from changed_orders
    inner join {{ ref('stg_order_items') }} as new_order_items on changed_orders.order_id = new_order_items.order_id
),

mentioned_products as (
    select product_id
    from loaded_products
    union
    select product_id
    from items_of_changed_orders
),

mentioned_sellers as (
    select seller_id
    from loaded_sellers
    union
    select seller_id
    from items_of_changed_orders
),

missing_products as (
    select mentioned_products.product_id
    from mentioned_products
    where not exists (
        select 1 from {{ ref('stg_products') }} as products where products.product_id = mentioned_products.product_id
    )
),

missing_sellers as (
    select mentioned_sellers.seller_id
    from mentioned_sellers
    where not exists (
        select 1 from {{ ref('stg_sellers') }} as sellers where sellers.seller_id = mentioned_sellers.seller_id
    )
),

changed_categories as (
    select distinct first_key as product_category_name
    from loaded
    where table_name = 'category_translation'
),

products_of_changed_categories as (
    select old_products.product_id
    from changed_categories
    inner join {{ old_rows_of('marts', 'dim_product') }} as old_products
        on changed_categories.product_category_name = old_products.product_category_name
    where not old_products.is_inferred
),

-- A fact's key changes only if versions come, go or move; a catalogue sent again unchanged changes no fact.

{{ versions_by_batch('product', ref('stg_products'), 'product_id', product_attributes(), keys='loaded_products') }},

{{ versions_by_batch('seller', ref('stg_sellers'), 'seller_id', seller_attributes(), keys='loaded_sellers') }},

old_product_versions as (
    select
        old_products.product_id,
        old_products.valid_from
    from loaded_products
    inner join {{ old_rows_of('marts', 'dim_product') }} as old_products
        on loaded_products.product_id = old_products.product_id
),

old_seller_versions as (
    select
        old_sellers.seller_id,
        old_sellers.valid_from,
        old_sellers.zip_code_prefix
    from loaded_sellers
    inner join {{ old_rows_of('marts', 'dim_seller') }} as old_sellers
        on loaded_sellers.seller_id = old_sellers.seller_id
),

recut_products as (
    (
        select product_id, valid_from from product_versions
        except
        select product_id, valid_from from old_product_versions
    )
    union all
    (
        select product_id, valid_from from old_product_versions
        except
        select product_id, valid_from from product_versions
    )
),

-- A seller's place is part of the distance, and a correction may change it without a new version.
recut_sellers as (
    (
        select seller_id, valid_from, coalesce(zip_code_prefix, 'unknown') as zip_code_prefix from seller_versions
        except
        select seller_id, valid_from, zip_code_prefix from old_seller_versions
    )
    union all
    (
        select seller_id, valid_from, zip_code_prefix from old_seller_versions
        except
        select seller_id, valid_from, coalesce(zip_code_prefix, 'unknown') as zip_code_prefix from seller_versions
    )
),

orders_of_recut_products as (
    select old_order_items.order_id
    from recut_products
    inner join {{ old_rows_of('intermediate', 'int_order_items_current') }} as old_order_items
        on recut_products.product_id = old_order_items.product_id
),

orders_of_recut_sellers as (
    select old_order_items.order_id
    from recut_sellers
    inner join {{ old_rows_of('intermediate', 'int_order_items_current') }} as old_order_items
        on recut_sellers.seller_id = old_order_items.seller_id
),

-- The distance between customer and seller: orders to and from zip codes of which a place came or went.

changed_zip_codes as (
    select distinct first_key as zip_code_prefix
    from loaded
    where table_name = 'geolocation'
),

orders_of_changed_zip_codes as (
    select old_orders.order_id
    from changed_zip_codes
    inner join {{ old_rows_of('marts', 'dim_customer') }} as old_customers
        on changed_zip_codes.zip_code_prefix = old_customers.zip_code_prefix
    inner join {{ old_rows_of('marts', 'fct_orders') }} as old_orders
        on old_customers.customer_key = old_orders.customer_key
    union
    select old_items.order_id
    from changed_zip_codes
    inner join {{ old_rows_of('marts', 'dim_seller') }} as old_sellers
        on changed_zip_codes.zip_code_prefix = old_sellers.zip_code_prefix
    inner join {{ old_rows_of('marts', 'fct_order_items') }} as old_items
        on old_sellers.seller_key = old_items.seller_key
),

changed_keys as (
    select 'customer' as entity, customer_id as changed_key from changed_customers
    union
    select 'person' as entity, customer_unique_id as changed_key from changed_people
    union
    select 'order' as entity, order_id as changed_key from changed_orders
    union
    select 'review' as entity, first_key as changed_key from loaded where table_name = 'order_reviews'
    union
    select 'order_facts' as entity, order_id as changed_key from changed_orders
    union
    select 'order_facts' as entity, order_id as changed_key from orders_of_changed_people
    union
    select 'order_facts' as entity, order_id as changed_key from orders_of_recut_products
    union
    select 'order_facts' as entity, order_id as changed_key from orders_of_recut_sellers
    union
    select 'order_facts' as entity, order_id as changed_key from orders_of_changed_zip_codes
    union
    select 'product' as entity, product_id as changed_key from loaded_products
    union
    select 'product' as entity, product_id as changed_key from missing_products
    union
    select 'product' as entity, product_id as changed_key from products_of_changed_categories
    union
    select 'missing_product' as entity, product_id as changed_key from missing_products
    union
    select 'seller' as entity, seller_id as changed_key from loaded_sellers
    union
    select 'seller' as entity, seller_id as changed_key from missing_sellers
    union
    select 'missing_seller' as entity, seller_id as changed_key from missing_sellers
    union
    select 'category' as entity, product_category_name as changed_key from changed_categories
    union
    select 'zip_code' as entity, zip_code_prefix as changed_key from changed_zip_codes
),

final as (
    select
        cast({{ watermark() }} as bigint) as since_load_id,
        cast(entity as varchar(20)) as entity,
        changed_key
    from changed_keys
    where changed_key is not null
)

select * from final

{% endif %}
