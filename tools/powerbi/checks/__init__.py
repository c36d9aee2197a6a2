"""A Power BI project -> what is wrong with it, without Power BI: Microsoft's validators and a check of our own."""
