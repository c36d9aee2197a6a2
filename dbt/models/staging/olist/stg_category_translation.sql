select
    product_category_name,
    product_category_name_english,
    _batch_date
from {{ source('olist', 'category_translation') }}
