Console.WriteLine("moshpit");
