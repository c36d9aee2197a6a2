"""dbt's models, and the models that each reads. Made by `make docs`: change dbt/, not this file."""

READS: dict[str, tuple[str, ...]] = {
    "data_quality": (),
    "dim_customer": (
        "int_changed_keys",
        "int_customers_current",
        "int_orders_current",
    ),
    "dim_date": (),
    "dim_geography": (
        "int_changed_keys",
        "stg_geolocation",
    ),
    "dim_order": (
        "fct_orders",
        "int_changed_keys",
        "int_order_items_current",
        "int_order_payments_current",
        "int_order_reviews_current",
    ),
    "dim_product": (
        "int_category_translation_current",
        "int_changed_keys",
        "int_order_items_current",
        "stg_products",
    ),
    "dim_seller": (
        "int_changed_keys",
        "int_order_items_current",
        "stg_sellers",
    ),
    "fct_order_items": (
        "dim_customer",
        "dim_geography",
        "dim_product",
        "dim_seller",
        "fct_orders",
        "int_changed_keys",
        "int_order_items_current",
    ),
    "fct_orders": (
        "dim_customer",
        "int_changed_keys",
        "int_customers_current",
        "int_order_items_current",
        "int_order_payments_current",
        "int_order_reviews_current",
        "int_orders_current",
    ),
    "fct_payments": (
        "fct_orders",
        "int_changed_keys",
        "int_order_payments_current",
    ),
    "fct_reviews": (
        "fct_orders",
        "int_changed_keys",
        "int_order_reviews_current",
    ),
    "int_category_translation_current": (
        "int_changed_keys",
        "stg_category_translation",
    ),
    "int_changed_keys": (
        "stg_changed_keys",
        "stg_customers",
        "stg_order_items",
        "stg_orders",
        "stg_products",
        "stg_sellers",
    ),
    "int_customers_current": (
        "int_changed_keys",
        "stg_customers",
    ),
    "int_order_items_current": (
        "int_changed_keys",
        "stg_order_items",
    ),
    "int_order_payments_current": (
        "int_changed_keys",
        "stg_order_payments",
    ),
    "int_order_reviews_current": (
        "int_changed_keys",
        "stg_order_reviews",
    ),
    "int_orders_current": (
        "int_changed_keys",
        "stg_orders",
    ),
    "stg_category_translation": (),
    "stg_changed_keys": (),
    "stg_customers": (),
    "stg_geolocation": (),
    "stg_order_items": (),
    "stg_order_payments": (),
    "stg_order_reviews": (),
    "stg_orders": (),
    "stg_products": (),
    "stg_sellers": (),
}
