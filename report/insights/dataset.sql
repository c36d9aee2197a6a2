-- What the published data set is known by: its orders, and the sum of the prices of all items.
select
    (select count(*) from marts.fct_orders) as orders,
    (select sum(price) from marts.fct_order_items) as items_value
