select
    seller_id,
    seller_zip_code_prefix as zip_code_prefix,
    seller_city as city,
    seller_state as state,
    _batch_date
from {{ source('olist', 'sellers') }}
