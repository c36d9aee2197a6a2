{{ config(
    meta={'replaces': {'column': 'customer_unique_id', 'entity': 'person'}},
    incremental_predicates=["customer_key <> 'unknown'"],
    indexes=[{'columns': ['customer_unique_id']}, {'columns': ['zip_code_prefix']}],
) }}

{% set attributes = {'zip_code_prefix': 'text', 'city': 'text', 'state': 'text', 'first_purchase_date': 'date'} %}

with customers as (
    select
        customer_id,
        customer_unique_id,
        coalesce(zip_code_prefix, 'unknown') as zip_code_prefix,
        coalesce(city, 'unknown') as city,
        coalesce(state, 'unknown') as state
    from {{ ref('int_customers_current') }}
    {{ keep_changed('customer_unique_id', 'person') }}
),

orders_of_people as (
    select
        customers.customer_unique_id,
        customers.zip_code_prefix,
        customers.city,
        customers.state,
        orders.order_id,
        orders.purchased_at
    from customers
    inner join {{ ref('int_orders_current') }} as orders on customers.customer_id = orders.customer_id
    where orders.purchased_at is not null
),

-- Orders of one person at the same moment count as one; it has the address of the highest order_id.
ranked_orders as (
    select
        orders_of_people.*,
        cast(min(purchased_at) over (partition by customer_unique_id) as date) as first_purchase_date,
        row_number() over (partition by customer_unique_id, purchased_at order by order_id desc) as precedence
    from orders_of_people
),

addresses as (
    select
        customer_unique_id,
        zip_code_prefix,
        city,
        state,
        first_purchase_date,
        purchased_at,
        lag(zip_code_prefix) over (partition by customer_unique_id order by purchased_at) as previous_zip_code_prefix,
        lag(city) over (partition by customer_unique_id order by purchased_at) as previous_city,
        lag(state) over (partition by customer_unique_id order by purchased_at) as previous_state
    from ranked_orders
    where precedence = 1
),

version_starts as (
    select
        customer_unique_id,
        zip_code_prefix,
        city,
        state,
        first_purchase_date,
        purchased_at,
        row_number() over (partition by customer_unique_id order by purchased_at) as version_number,
        lead(purchased_at) over (partition by customer_unique_id order by purchased_at) as next_purchased_at
    from addresses
    where
        previous_zip_code_prefix is null
        or previous_zip_code_prefix <> zip_code_prefix
        or previous_city <> city
        or previous_state <> state
),

with_orders as (
    select
        customer_unique_id,
        zip_code_prefix,
        city,
        state,
        first_purchase_date,
        case when version_number = 1 then {{ beginning_of_time() }} else purchased_at end as valid_from,
        next_purchased_at as valid_to,
        false as is_inferred
    from version_starts
),

ranked_customers as (
    select
        customers.*,
        row_number() over (partition by customer_unique_id order by customer_id desc) as precedence
    from customers
),

without_orders as (
    select
        ranked_customers.customer_unique_id,
        ranked_customers.zip_code_prefix,
        ranked_customers.city,
        ranked_customers.state,
        cast(null as date) as first_purchase_date,
        {{ beginning_of_time() }} as valid_from,
        cast(null as timestamp) as valid_to,
        false as is_inferred
    from ranked_customers
    left join with_orders on ranked_customers.customer_unique_id = with_orders.customer_unique_id
    where ranked_customers.precedence = 1 and with_orders.customer_unique_id is null
),

-- Until its customer row comes, an order's customer_id represents the person.
orders_without_customer as (
    select distinct customer_id
    from {{ ref('int_orders_current') }} as orders
    where
        customer_id is not null
        and not exists (
            select 1
            from {{ ref('int_customers_current') }} as all_customers
            where all_customers.customer_id = orders.customer_id
        )
    {{ keep_changed('customer_id', 'person', keyword='and') }}
),

inferred as (
    select
        customer_id as customer_unique_id,
        {{ undescribed(attributes) | indent }}
    from orders_without_customer
),

{{ members(
    'customer_key',
    'customer_unique_id',
    attributes,
    ctes=['with_orders', 'without_orders', 'inferred'],
    keys={'inferred': inferred_customer_key('customer_unique_id')},
) }},

final as (
    select
        customer_key,
        customer_unique_id,
        zip_code_prefix,
        city,
        state,
        first_purchase_date,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        is_inferred
    from members
)

select * from final
