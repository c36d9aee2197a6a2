-- Orders of several sellers by month of purchase, the last twelve months first: the course of the unhappy share.
select
    to_char(date_trunc('month', fct_orders.purchased_at), 'YYYY-MM') as month,
    count(distinct fct_orders.order_id) as orders,
    count(fct_reviews.review_score) as reviews,
    round(avg(fct_reviews.review_score), 2) as score,
    round(
        100.0 * sum(case when fct_reviews.review_score <= 2 then 1 else 0 end)
        / nullif(count(fct_reviews.review_score), 0),
        1
    ) as unhappy_percent
from marts.fct_orders
left join marts.fct_reviews on fct_orders.order_id = fct_reviews.order_id
where
    fct_orders.purchased_at >= %(first_day)s
    and fct_orders.purchased_at < %(day_after)s
    and fct_orders.delivered_at is not null
    and fct_orders.seller_count > 1
group by date_trunc('month', fct_orders.purchased_at)
order by date_trunc('month', fct_orders.purchased_at) desc
limit 12
