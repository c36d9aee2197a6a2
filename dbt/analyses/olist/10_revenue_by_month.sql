-- Revenue by month of purchase
select
    dates.year_month as purchase_month,
    count(distinct items.order_id) as orders,
    count(*) as items,
    sum(items.price) as revenue,
    sum(items.freight_value) as freight
from marts.fct_order_items as items
inner join marts.dim_date as dates on items.purchase_date_key = dates.date_key
group by dates.year_month
order by dates.year_month
