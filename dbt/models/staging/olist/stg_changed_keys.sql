select
    load_id,
    table_name,
    key
from {{ source('ops', 'changed_keys') }}
where source = 'olist'
